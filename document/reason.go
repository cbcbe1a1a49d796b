package document

// Understood says whether the structure of a file with this problem, or with none, was understood to its end: only then
// may its digest leave anything out. Two files that broke off early can be alike but for what is left out.
func (r Reason) Understood() bool {
	switch r {
	case "", ReasonNoPatient, ReasonPlaceholder, ReasonBadIdentifier, ReasonNoInstance, ReasonMediaDirectory,
		ReasonNotAccepted, ReasonPixelsChanged:
		return true
	default:
		return false
	}
}

// Explain is the sentence for a person: what is wrong, and what to do.
func (r Reason) Explain() string {
	if sentence, ok := explanations()[r]; ok {
		return sentence
	}
	return string(r)
}

func explanations() map[Reason]string {
	const asItIs = ", or have it anchored as it is (medanchor tray release, or medanchor tray assign where it names nobody)"
	return map[Reason]string{
		ReasonNotUnderstood: "the file is neither readable DICOM, nor PDF, nor text: send it again in one of these" + asItIs,
		ReasonTruncated:     "the file ends early: send it again from its source" + asItIs,
		ReasonNoPatient: "nothing says whose it is: the DICOM header has no Patient ID (0010,0020), or the folder's rule finds no " +
			"identifier in the path: find out, and assign it (medanchor tray assign)",
		ReasonPlaceholder: "its patient identifier is a placeholder, such as UNKNOWN, ID1 or zeros, which many people share: find out " +
			"whose it is, and assign it (medanchor tray assign), or send it again with their own identifier",
		ReasonBadIdentifier: "its NHS number is not ten digits with a valid check digit: compare it with the patient's own, and assign it " +
			"(medanchor tray assign), or send it again with the right one",
		ReasonNoInstance: "the DICOM header has no Study or SOP Instance UID: send it again from a system that sets them" + asItIs,
		ReasonTooLarge:   "the file is larger than what is inspected: send it again in smaller parts" + asItIs,
		ReasonInspectFailed: "the inspector died on it, or ran out of time or memory: retry it (medanchor tray retry); if that fails " +
			"again, the file is damaged or hostile: send it again from its source" + asItIs,
		ReasonEncrypted: "the PDF needs a password: send it again without one" + asItIs,
		ReasonLedgerConflict: "the ledger holds the same document with other sealed bytes: if state.db was restored from an old backup, " +
			"restore the newest state.db, which knows them; else discard it (medanchor tray discard)",
		ReasonErased: "this document was erased from the patient's history by a decision on the ledger: remove it at its source, and " +
			"discard it (medanchor tray discard)",
		ReasonUnlinked: "another hospital anchored the same document under a reference to which the patient is no longer linked: retry " +
			"it (medanchor tray retry), and it is anchored for this hospital's own patient",
		ReasonMediaDirectory: "it is the directory of a DICOM medium (DICOMDIR), no document of a patient: take in the files that it lists, and " +
			"discard it (medanchor tray discard)",
		ReasonNotAccepted: "its door takes other kinds of file: release it if it belongs there all the same (medanchor tray release), or " +
			"change what the folder accepts and retry it (medanchor tray retry)",
		ReasonPixelsChanged: "other pixels came under the SOP Instance UID of an earlier document, and both are anchored, as a rule in one " +
			"record: have somebody who may read it compare the two (medanchor get --identity), have a wrong one corrected at its source, " +
			"and release this (medanchor tray release); medanchor record withdraw would take the whole study from everybody",
	}
}

// Reasons are all reasons.
func Reasons() []Reason {
	return []Reason{
		ReasonNotUnderstood, ReasonTruncated, ReasonNoPatient, ReasonPlaceholder, ReasonBadIdentifier,
		ReasonNoInstance, ReasonTooLarge, ReasonInspectFailed, ReasonEncrypted, ReasonLedgerConflict,
		ReasonErased, ReasonUnlinked, ReasonMediaDirectory, ReasonNotAccepted, ReasonPixelsChanged,
	}
}
