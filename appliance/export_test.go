package appliance

// FolderRule is what tests of a door's word look at.
var FolderRule = folderRule
