// Package appliance is the daemon: it reads the configuration, makes every stage and wires one to the next. It alone
// knows all of them; the stages know only the domain types.
package appliance
