package scp

import "strings"

const (
	verification = "1.2.840.10008.1.1"        // the SOP class of C-ECHO (PS3.4 §A.4)
	standardRoot = "1.2.840.10008."           // of the UIDs that the standard gives out
	storageRoot  = "1.2.840.10008.5.1.4.1.1." // where the storage SOP classes of PS3.4 §B.5 stand
)

// Storable says whether objects of a SOP class are taken: every storage SOP class of the standard, those yet to come included,
// and every private one. Refusing what we do not know would lose it, and we need not know it: the dataset is kept as it is.
func Storable(class string) bool {
	switch {
	case !strings.HasPrefix(class, standardRoot):
		return true
	case strings.HasPrefix(class, storageRoot):
		return otherServices()[class] == ""
	default:
		return storageElsewhere()[class] != ""
	}
}

// storageElsewhere are the storage SOP classes that stand outside storageRoot, by UID: of radiotherapy, hardcopy, and
// non-patient objects (PS3.4 §B.5, §GG.3; PS3.6 Annex A).
func storageElsewhere() map[string]string {
	return map[string]string{
		"1.2.840.10008.5.1.1.27":    "Stored Print Storage (retired)",
		"1.2.840.10008.5.1.1.29":    "Hardcopy Grayscale Image Storage (retired)",
		"1.2.840.10008.5.1.1.30":    "Hardcopy Color Image Storage (retired)",
		"1.2.840.10008.5.1.4.34.1":  "RT Beams Delivery Instruction Storage - Trial (retired)",
		"1.2.840.10008.5.1.4.34.7":  "RT Beams Delivery Instruction Storage",
		"1.2.840.10008.5.1.4.34.10": "RT Brachy Application Setup Delivery Instruction Storage",
		"1.2.840.10008.5.1.4.38.1":  "Hanging Protocol Storage",
		"1.2.840.10008.5.1.4.39.1":  "Color Palette Storage",
		"1.2.840.10008.5.1.4.43.1":  "Generic Implant Template Storage",
		"1.2.840.10008.5.1.4.44.1":  "Implant Assembly Template Storage",
		"1.2.840.10008.5.1.4.45.1":  "Implant Template Group Storage",
	}
}

// otherServices are the SOP classes below storageRoot that are none of storage, by UID: nothing is ever stored under them
// (PS3.6 Annex A).
func otherServices() map[string]string {
	return map[string]string{
		"1.2.840.10008.5.1.4.1.1.200.4": "Protocol Approval Information Model - FIND",
		"1.2.840.10008.5.1.4.1.1.200.5": "Protocol Approval Information Model - MOVE",
		"1.2.840.10008.5.1.4.1.1.200.6": "Protocol Approval Information Model - GET",
		"1.2.840.10008.5.1.4.1.1.201.2": "Inventory - FIND",
		"1.2.840.10008.5.1.4.1.1.201.3": "Inventory - MOVE",
		"1.2.840.10008.5.1.4.1.1.201.4": "Inventory - GET",
		"1.2.840.10008.5.1.4.1.1.201.5": "Inventory Creation",
		"1.2.840.10008.5.1.4.1.1.201.6": "Repository Query",
	}
}
