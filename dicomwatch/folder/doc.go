// Package folder is the door for files that are dropped in a folder.
//
// Watching is a hint, scanning is the truth: inotify overflows and does not see NFS or SMB, so each hint only brings the
// next scan forward. A file is offered once it is stable: the same size, modification and change time over the quiet
// period. Only regular files inside the folder are taken; symbolic links, devices, hidden files and names that end as
// copies in progress do (.part, .tmp, .filepart, ~) are left alone.
package folder
