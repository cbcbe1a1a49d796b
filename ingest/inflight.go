package ingest

import (
	"sync"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// inFlight is what groups that are not committed yet will make known.
type inFlight struct {
	mu        sync.Mutex
	documents map[record.Tag]document.ItemID
	contents  map[contentKey]document.ItemID // of quarantined items
	instances map[instanceKey]document.Item
	repeated  map[document.ItemID]int // how many duplicates of an item there are
}

type instanceKey struct {
	patient record.Reference
	uid     string
}

type contentKey struct {
	digest  document.Digest
	patient document.PatientID
}

func newInFlight() inFlight {
	return inFlight{
		documents: make(map[record.Tag]document.ItemID),
		contents:  make(map[contentKey]document.ItemID),
		instances: make(map[instanceKey]document.Item),
		repeated:  make(map[document.ItemID]int),
	}
}

// first returns the item in flight with the same content.
func (f *inFlight) first(item *document.Item) (id document.ItemID, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if item.Reason != "" {
		id, ok = f.contents[contentOf(item)]
		return id, ok
	}
	id, ok = f.documents[item.Tag]
	return id, ok
}

// instance returns the first item in flight with the same SOP Instance UID.
func (f *inFlight) instance(item *document.Item) (first document.Item, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, ok = f.instances[keyOf(item)]
	return first, ok
}

func (f *inFlight) addContent(item *document.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.contents[contentOf(item)] = item.ID
}

func (f *inFlight) addDocument(item *document.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.documents[item.Tag] = item.ID
	if item.Metadata.InstanceUID != "" && item.VariantOf.IsZero() {
		f.instances[keyOf(item)] = *item
	}
}

func (f *inFlight) addRepeat(first document.ItemID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.repeated[first]++
}

// isRepeated says whether a duplicate of an item is in flight.
func (f *inFlight) isRepeated(id document.ItemID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.repeated[id] > 0
}

// remove forgets an item that is durable, or not the first.
func (f *inFlight) remove(item *document.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if item.State == document.Duplicate {
		if f.repeated[item.First]--; f.repeated[item.First] <= 0 {
			delete(f.repeated, item.First)
		}
		return // it never was the first
	}
	if f.documents[item.Tag] == item.ID {
		delete(f.documents, item.Tag)
	}
	if f.contents[contentOf(item)] == item.ID {
		delete(f.contents, contentOf(item))
	}
	if f.instances[keyOf(item)].ID == item.ID {
		delete(f.instances, keyOf(item))
	}
}

func contentOf(item *document.Item) contentKey {
	return contentKey{item.Digest, item.Metadata.Patient}
}

func keyOf(item *document.Item) instanceKey {
	return instanceKey{item.Patient, item.Metadata.InstanceUID}
}
