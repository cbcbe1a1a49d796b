package hospital

import (
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
)

// Nouns are what a block says of documents, their records and their anchorings.
type Nouns struct {
	Anchorings []record.Anchoring
	Documents  []Document // each write of one; without tombstones
	Versions   []record.AnchoredVersion
}

// Document is a document as written.
type Document struct {
	record.Document
	Anchoring record.AnchoringID
}

// NounsOf reads the writes of a block, and leaves other nouns alone.
func NounsOf(b ledger.Block) (n Nouns, err error) {
	for _, w := range b.Writes {
		switch {
		case record.IsAnchoringKey(w.Key):
			var a record.Anchoring
			a, err = record.DecodeAnchoring(w.Value)
			n.Anchorings = append(n.Anchorings, a)
		case record.IsVersionKey(w.Key):
			var v record.AnchoredVersion
			v, err = record.DecodeVersion(w.Key, w.Value)
			n.Versions = append(n.Versions, v)
		case record.IsDocumentKey(w.Key):
			err = n.addDocument(w)
		}
		if err != nil {
			return Nouns{}, err
		}
	}
	return n, nil
}

func (n *Nouns) addDocument(w ledger.Write) error {
	tag, err := record.ParseDocumentKey(w.Key)
	if err != nil {
		return err
	}
	stored, err := record.DecodeDocument(w.Value)
	if err != nil || stored.Erased() {
		return err
	}
	d := record.Document{Tag: tag, CID: stored.CID, VariantOf: stored.VariantOf}
	n.Documents = append(n.Documents, Document{d, stored.Anchoring})
	return nil
}
