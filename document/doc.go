// Package document holds the domain's nouns, shared by every stage of the pipeline.
//
// An Item is one delivery at a door of the hospital: a file in a drop folder, an object over C-STORE. It goes through
// the States of the pipeline and always ends in one that is counted. A document (chaincode/record.Document) is content
// in a patient's history: many Items may carry the same document, and all but the first are duplicates.
package document
