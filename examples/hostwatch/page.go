package main

import (
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

//go:embed web
var web embed.FS

// Where npm puts the browser bundle of the JavaScript SDK.
const sdkBundle = "node_modules/diffusion/dist/diffusion.js"

// findSDK returns the browser bundle of the JavaScript SDK: the given file, or the
// one that npm has installed for the conformance tests, in this directory or above.
func findSDK(file string) (string, error) {
	if file != "" {
		_, err := os.Stat(file)
		return file, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		for _, in := range []string{".", "conformance"} {
			if file := filepath.Join(dir, in, sdkBundle); exists(file) {
				return file, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the page needs the JavaScript SDK, which npm brings: " +
				"run npm ci in conformance/, or npm install diffusion here, or say with -sdk where diffusion.js is")
		}
		dir = parent
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// pageHandler serves the page, the SDK as /diffusion.js, and as /config.json what
// the page connects to unless its address says otherwise.
func pageHandler(bundle, serverURL string) http.Handler {
	files, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // The directory is part of the program.
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /diffusion.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, bundle)
	})
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if err := json.NewEncoder(w).Encode(map[string]string{"url": serverURL}); err != nil {
			log.Printf("page: %v", err)
		}
	})
	return mux
}

// servePage serves until stop is called.
func servePage(listener net.Listener, bundle, serverURL string) (stop func()) {
	server := &http.Server{Handler: pageHandler(bundle, serverURL), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Printf("page: %v", err)
		}
	}()
	return func() { server.Close() }
}
