module advect.dev/bench

go 1.26
