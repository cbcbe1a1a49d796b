package dir

// LookAndRename is Rename on a file system that cannot see to it that nothing is replaced.
func (r *Root) LookAndRename(from, to string) error {
	return r.in(from, func(fromDir int, fromBase string) error {
		return r.in(to, func(toDir int, toBase string) error { return lookAndRename(fromDir, fromBase, toDir, toBase) })
	})
}
