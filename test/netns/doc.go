// Package netns gives tests machines of their own: network namespaces (network_namespaces(7)) whose addresses look public,
// because software that looks for its peers treats loopback and private addresses differently.
//
// A [Network] is a switch; each [Host] on it is a machine with one address of 203.0.113.0/24 (TEST-NET-3, RFC 5737) and a
// loopback of its own. Nothing leads from there to the machine that the test runs on, nor to any other network, but what
// the test passes on itself: a [Forwarder].
//
// The namespaces have no names. They are held by descriptors of the test process and by what runs in them, so that they
// end with these, however the test ends. Making them needs root: without, a test is skipped.
package netns
