package scp

// What the conformance statement lists.

func StorageElsewhere() map[string]string { return storageElsewhere() }

func OtherServices() map[string]string { return otherServices() }

func Incomplete(transferSyntax string) bool { return incomplete(transferSyntax) }

func Worse(transferSyntax string) bool { return worse(transferSyntax) }
