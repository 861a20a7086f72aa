package server

// Local is exported for tests.
var Local = local
