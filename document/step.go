package document

// Step names a point on an item's way, from its arrival at a door to its place on the ledger. A process may die between any
// two of them: tests kill it at each one of Steps.
type Step string

// The steps, in order.
const (
	StepSpooled     Step = "spooled"     // a C-STORE object is durable in the spool
	StepAnswered    Step = "answered"    // its sender has the response
	StepReceived    Step = "received"    // taken from its door
	StepInspected   Step = "inspected"   // its metadata is read
	StepSealed      Step = "sealed"      // digested, encrypted and chunked
	StepStored      Step = "stored"      // its blocks are durable and pinned
	StepQueued      Step = "queued"      // in state.db, and in the outbox
	StepDuplicate   Step = "duplicate"   // in state.db, as what was there already
	StepQuarantined Step = "quarantined" // in state.db, in a tray
	StepDisposed    Step = "disposed"    // its source is moved or deleted
	StepForgotten   Step = "forgotten"   // the claim of its source is gone from state.db
	StepSubmitted   Step = "submitted"   // journalled, and about to be sent to the ledger
	StepCommitted   Step = "committed"   // on the channel, and not settled in state.db
	StepAnchored    Step = "anchored"    // settled
	StepStable      Step = "stable"      // its study was called stable on the ledger
)

// Steps are all steps, in order.
func Steps() []Step {
	return []Step{
		StepSpooled, StepAnswered, StepReceived, StepInspected, StepSealed, StepStored, StepQueued, StepDuplicate,
		StepQuarantined, StepDisposed, StepForgotten, StepSubmitted, StepCommitted, StepAnchored, StepStable,
	}
}

// Taken is the step by which an item came to rest in this state.
func (s State) Taken() Step { return Step(s) }
