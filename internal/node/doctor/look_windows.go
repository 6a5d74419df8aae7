package doctor

// openFiles is not known: handles have no limit that matters.
func openFiles() Files { return Files{} }
