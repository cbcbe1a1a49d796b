package ingest

import "github.com/medanchor/medanchor/document"

// Transfer syntaxes whose pixels are the same bytes: uncompressed, little endian (PS3.5 §A.1, A.2).
const (
	implicitVRLittleEndian = "1.2.840.10008.1.2"
	explicitVRLittleEndian = "1.2.840.10008.1.2.1"
)

// relate links an item to the first document with the same SOP Instance UID, and says how it differs. One whose pixels differ is
// a matter for a person as well.
func (p *Pipeline) relate(item *document.Item) error {
	first, found, err := p.instance(item)
	if err != nil || !found || first.Tag == item.Tag { // the ledger refused it before: it was the first itself
		return err
	}
	item.VariantOf, item.Variant = first.Tag, classify(&first, item)
	if item.Variant == document.VariantPixelsChanged {
		item.Review = document.ReasonPixelsChanged
	}
	return nil
}

// instance returns the item that brought the first document with the same SOP Instance UID.
func (p *Pipeline) instance(item *document.Item) (first document.Item, found bool, err error) {
	uid := item.Metadata.InstanceUID
	if uid == "" {
		return first, false, nil
	}
	if first, found := p.inFlight.instance(item); found {
		return first, true, nil
	}
	tag, found, err := p.Known.Instance(item.Patient, uid)
	if err != nil || !found {
		return first, false, err
	}
	first, found, err = p.Known.Carrier(tag)
	if !found {
		first.Tag = tag
	}
	return first, true, err
}

// classify says how an object differs from the first with its SOP Instance UID. The pixels of two transfer syntaxes can be compared
// only where neither changes them; where one does, they are taken to be the same picture.
func classify(first, item *document.Item) document.Variant {
	a, b := first.Metadata.TransferSyntaxUID, item.Metadata.TransferSyntaxUID
	same := first.Pixels == item.Pixels
	switch {
	case a != b && (same || !native(a) || !native(b)):
		return document.VariantReencoded
	case same:
		return document.VariantHeaderChanged
	default:
		return document.VariantPixelsChanged
	}
}

func native(syntax string) bool {
	return syntax == implicitVRLittleEndian || syntax == explicitVRLittleEndian
}
