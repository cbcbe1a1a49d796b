// Package dicomwatch holds the doors through which files come in: folder, the watched drop folders. Doors know nothing of
// what happens behind them; they hand over deliveries and hear of each by an acknowledgement or a release.
package dicomwatch
