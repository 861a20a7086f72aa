// Package service declares the services of the protocol: for each one its
// number, its name, and the structs that its request and response carry. The
// server registers a typed handler for a [Service], the SDK calls it, and the
// inspector decodes it; the bytes are written down only here. It is pure.
//
// To add a service: write its request and response structs with append and
// read, declare it in the file of its group, list it in all, and its golden
// vectors test it.
package service
