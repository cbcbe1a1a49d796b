package appliance

// What tests of a door's word look at.
var (
	FolderRule = folderRule
	SenderRule = senderRule
)
