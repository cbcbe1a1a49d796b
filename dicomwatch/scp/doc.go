// Package scp is the door for DICOM objects that come over the network: a service class provider of Verification and Storage
// (PS3.4 Annexes A and B), by our own code to PS3.7 and PS3.8. What it is to its peers stands in docs/dicom-conformance.md.
//
// An association is one conversation with a sender, from its request, which is accepted or rejected, to its release or abort. In
// it the sender stores objects one after the other. The bytes of each go to the Spool as they come, so that an association
// takes the memory of one PDU whatever the object's size; they are never decoded. Success is answered only once Commit has
// returned: acknowledged means durable.
//
// The states of PS3.8 §9.2 are places in the code: awaiting a request (Sta2) is establish, data transfer (Sta6) is serve, and
// awaiting the close (Sta13) is linger. The ARTIM timer is the deadline of reading in the first and the last.
package scp
