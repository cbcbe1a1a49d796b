package appliance

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/index"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/vault/ipfs"
)

// history is the index as readings see it.
type history struct{ *index.Index }

// Participant implements reading.Index.
func (h history) Participant(id record.ParticipantID) (p record.Participant, found bool, err error) {
	return indexed[record.Participant](h.Index, record.ParticipantKey(id))
}

// Versions implements reading.Index.
func (h history) Versions(name record.RecordName) (versions []record.AnchoredVersion, err error) {
	found, err := h.VersionsOf(name.Patient, name.Record)
	for _, v := range found {
		versions = append(versions, v.AnchoredVersion)
	}
	return versions, err
}

// Status implements reading.Index.
func (h history) Status(name record.RecordName) (record.RecordStatus, error) {
	status, _, err := indexed[record.RecordStatus](h.Index, record.StatusKey(name.Patient, name.Record))
	return status, err
}

// Relation implements reading.Index.
func (h history) Relation(patient record.Reference, participant record.ParticipantID) (r record.Relation, err error) {
	r, _, err = indexed[record.Relation](h.Index, record.RelationKey(patient, participant))
	return r, err
}

// LedgerTime implements reading.Index.
func (h history) LedgerTime() (time.Time, error) { return h.Latest() }

// Payloads implements reading.Index.
func (h history) Payloads(tag record.Tag) (payloads []reading.Payload, err error) {
	d, at, found, err := h.Document(tag)
	if err != nil || !found {
		return nil, err
	}
	first := record.InstitutionID(at.MSPID).Institution()
	payloads = append(payloads, reading.Payload{Institution: first, CID: d.CID})
	institutions, err := h.institutions()
	if err != nil {
		return nil, err
	}
	for _, prefix := range institutions {
		c, found, err := h.Get(record.HoldingKey(prefix, tag))
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		held, err := record.DecodeHolding(c.Value)
		if err != nil {
			return nil, err
		}
		if !held.Erased() {
			payloads = append(payloads, reading.Payload{Institution: prefix, CID: held.CID})
		}
	}
	return payloads, nil
}

// heldBy is the payload by which an institution holds a document, as the ledger has it: as it anchored it, or as its copy.
// Zero if it holds none, or erased it.
func (h history) heldBy(institution record.InstitutionPrefix, tag record.Tag) (cid record.CID, err error) {
	d, at, found, err := h.Document(tag)
	if err != nil || found && record.InstitutionID(at.MSPID).Institution() == institution {
		return d.CID, err
	}
	c, found, err := h.Get(record.HoldingKey(institution, tag))
	if err != nil || !found {
		return cid, err
	}
	held, err := record.DecodeHolding(c.Value)
	return held.CID, err
}

// institutions are the prefixes of all institutions.
func (h history) institutions() (prefixes []record.InstitutionPrefix, err error) {
	start, end := record.PrefixRange()
	err = h.Range(start, end, func(c index.Change) bool {
		var holder record.PrefixHolder
		if err = json.Unmarshal(c.Value, &holder); err == nil {
			prefixes = append(prefixes, holder.Institution.Institution())
		}
		return err == nil
	})
	return prefixes, err
}

// source is where an institution's IPFS node is reached, as it registered.
func (h history) source(prefix record.InstitutionPrefix) (ipfs.Source, error) {
	source := ipfs.Source{Name: prefix.String()}
	holder, found, err := indexed[record.PrefixHolder](h.Index, record.PrefixKey(prefix))
	if err != nil || !found {
		return source, err
	}
	p, _, err := indexed[record.Participant](h.Index, record.ParticipantKey(holder.Institution))
	if err == nil && p.Institution != nil {
		source.Name, source.Addresses = p.Institution.Name, p.Institution.Addresses
	}
	return source, err
}

// others are where all other institutions' nodes are reached.
func (h history) others(own record.InstitutionPrefix) (sources []ipfs.Source, err error) {
	prefixes, err := h.institutions()
	if err != nil {
		return nil, err
	}
	for _, prefix := range prefixes {
		if prefix == own {
			continue
		}
		source, err := h.source(prefix)
		if err != nil {
			return nil, err
		}
		if len(source.Addresses) > 0 {
			sources = append(sources, source)
		}
	}
	return sources, nil
}

// Find implements ingest.Elsewhere.
func (h history) Find(own, linked record.Reference, tag record.Tag) (v record.AnchoredVersion, found bool, err error) {
	patient, _, err := indexed[record.Patient](h.Index, record.PatientKey(own))
	if err != nil || !patient.LinkedTo(linked) {
		return v, false, err
	}
	start, end := record.PatientRange(linked)
	err = h.Range(start, end, func(c index.Change) bool {
		var next record.AnchoredVersion
		if next, err = record.DecodeVersion(c.Key, c.Value); err != nil {
			return false
		}
		for _, d := range next.Documents {
			if d.Tag == tag {
				v, found = next, true
			}
		}
		return !found
	})
	return v, found, err
}

// indexed reads a JSON value of the index.
func indexed[T any](x *index.Index, key string) (v T, found bool, err error) {
	c, found, err := x.Get(key)
	if err != nil || !found {
		return v, false, err
	}
	v, err = decodeIndexed[T](c.Value)
	return v, err == nil, err
}

func decodeIndexed[T any](value []byte) (v T, err error) {
	if err := json.Unmarshal(value, &v); err != nil {
		return v, fmt.Errorf("read %T from the index: %w", v, err)
	}
	return v, nil
}

// changes is the index as the Releaser sees it.
type changes struct{ *index.Index }

// Get implements release.Index.
func (c changes) Get(key string) ([]byte, bool, error) {
	found, there, err := c.Index.Get(key)
	return found.Value, there, err
}

// Range implements release.Index.
func (c changes) Range(start, end string, f func(key string, value []byte) bool) error {
	return c.Index.Range(start, end, func(w index.Change) bool { return f(w.Key, w.Value) })
}

// Since implements release.Index.
func (c changes) Since(block uint64, f func(key string) bool) error {
	return c.Index.Since(block, func(w index.Change) bool { return f(w.Key) })
}
