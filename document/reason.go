package document

// Understood says whether the structure of a file with this problem, or with none, was understood to its end: only then
// may its digest leave anything out. Two files that broke off early can be alike but for what is left out.
func (r Reason) Understood() bool { return r == "" || r == ReasonNoPatient || r == ReasonNoInstance }

// Explain is the sentence for a person: what is wrong, and what to do.
func (r Reason) Explain() string {
	switch r {
	case ReasonNotUnderstood:
		return "the file is neither readable DICOM, nor PDF, nor text: send it again in one of these"
	case ReasonTruncated:
		return "the file ends early: send it again from its source"
	case ReasonNoPatient:
		return "nothing says whose it is: the DICOM header has no Patient ID (0010,0020), or the folder's rule finds no " +
			"identifier in the path"
	case ReasonNoInstance:
		return "the DICOM header has no Study or SOP Instance UID: send it again from a system that sets them"
	case ReasonTooLarge:
		return "the file is larger than what is inspected"
	case ReasonInspectFailed:
		return "the inspector died on it, or ran out of time or memory: the file is damaged or hostile"
	case ReasonEncrypted:
		return "the PDF needs a password: send it again without one"
	case ReasonLedgerConflict:
		return "the ledger holds the same document with other sealed bytes: was state.db restored from an old backup?"
	}
	return string(r)
}

// Reasons are all reasons for quarantine.
func Reasons() []Reason {
	return []Reason{
		ReasonNotUnderstood, ReasonTruncated, ReasonNoPatient, ReasonNoInstance, ReasonTooLarge, ReasonInspectFailed,
		ReasonEncrypted, ReasonLedgerConflict,
	}
}
