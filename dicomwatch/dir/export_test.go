package dir

// RenameIfFree is Rename on a file system that cannot see to it that nothing is replaced.
func (r *Root) RenameIfFree(from, to string) error { return r.renameBy(renameIfFree, from, to) }

// LookAndRename is Rename on one that has no hard links either.
func (r *Root) LookAndRename(from, to string) error { return r.renameBy(lookAndRename, from, to) }

func (r *Root) renameBy(rename func(fromDir int, fromBase string, toDir int, toBase string) error, from, to string) error {
	return r.in(from, func(fromDir int, fromBase string) error {
		return r.in(to, func(toDir int, toBase string) error { return rename(fromDir, fromBase, toDir, toBase) })
	})
}
