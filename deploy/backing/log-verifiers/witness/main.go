// transparency-dev's own witness, for one log, with its state in memory: it cosigns what continues what it has cosigned before.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	signing := flag.String("private_key", "", "file that holds the witness's signing key in note format")
	logKey := flag.String("log_key", "", "file that holds the log's key in note format")
	flag.Parse()
	signer, err := f_note.NewSignerForCosignatureV1(read(*signing))
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := note.NewVerifier(read(*logKey))
	if err != nil {
		log.Fatal(err)
	}
	made, err := witness.New(context.Background(), witness.Opts{
		Persistence: inmemory.New(),
		Signers:     []note.Signer{signer},
		VerifierForLog: func(_ context.Context, origin string) (note.Verifier, bool, error) {
			return verifier, origin == verifier.Name(), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	answers := http.NewServeMux()
	answers.HandleFunc("POST /add-checkpoint", witness.NewHTTPHandler(made).AddCheckpoint)
	log.Fatal(http.Serve(listener, answers))
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
