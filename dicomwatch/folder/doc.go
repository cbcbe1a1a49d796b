// Package folder is the door for files that are dropped in a folder.
//
// Watching is a hint, scanning is the truth: inotify overflows and does not see NFS or SMB, so a hint only has one file looked
// at sooner, and everything is looked at in a rescan. Only regular files inside the folder are taken; symbolic links, devices,
// hidden files (rsync's, while it copies) and names that programs give to copies in progress are left alone.
//
// A file is offered once it is stable: its stamp (inode, size, modification and change time) was seen to stay the same over the
// quiet period, by a clock that nobody sets; or, in the first scan, its last change is longer ago than that. Opening it says
// whether a program still has it open for writing, where the kernel knows. A writer may pause for longer than any quiet period
// and close the file meanwhile, as over NFS: until a file has been the same over Options.Patience it is offered as growing, and
// the pipeline hands back what ends early (document.ErrGrowing). That tells nothing of text, nor of other formats: where such
// files are written slowly over the network, their writer is to rename them into place, or to say when they are whole by a
// marker (Options.Ready).
package folder
