package appliance

import "github.com/medanchor/medanchor/document"

// FolderRule is what tests of a door's word look at.
var FolderRule = folderRule

// RuleWithoutFolders is what an appliance without drop folders says of an item.
func RuleWithoutFolders(item *document.Item) (rule document.Delivery, known bool) {
	return new(App).rule(item)
}

// ReceiverOptions are those of the DICOM receiver.
var ReceiverOptions = receiverOptions
