// Command go-peer is a libp2p node in another language that a test drives: one JSON command on each line of its
// standard input, one JSON answer on each line of its standard output. It ends when its input does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	commandTimeout  = 20 * time.Second
	commandBytesMax = 8 << 20
)

// command is what the test wants done; which fields count depends on Do.
type command struct {
	ID       int      `json:"id"`
	Do       string   `json:"do"`
	Address  string   `json:"address"`
	Peer     string   `json:"peer"`
	Protocol string   `json:"protocol"`
	Topic    string   `json:"topic"`
	Name     string   `json:"name"`
	Key      string   `json:"key"`
	Payload  []byte   `json:"payload"`
	Size     int      `json:"size"`
	Strings  []string `json:"strings"`
}

// line is an answer, or an event where Event is set.
type line struct {
	ID     int    `json:"id,omitempty"`
	Event  string `json:"event,omitempty"`
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

// output writes whole lines from several goroutines.
type output struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func (o *output) write(l line) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if err := o.encoder.Encode(l); err != nil {
		os.Exit(1) // Nobody listens any more.
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "", "multiaddresses to listen on, separated by commas")
	security := flag.String("security", "noise,tls", "encryptions, best first")
	keyFile := flag.String("network-key", "", "file with the private network's key")
	flag.Parse()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := &output{encoder: json.NewEncoder(os.Stdout)}
	node, err := newNode(ctx, out, words(*listen), words(*security), *keyFile)
	if err != nil {
		return err
	}
	defer node.host.Close()
	out.write(line{Event: "ready", Result: node.self()})

	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, commandBytesMax)
	for input.Scan() {
		var c command
		if err := json.Unmarshal(input.Bytes(), &c); err != nil {
			return err
		}
		go func() {
			ctx, cancel := context.WithTimeout(ctx, commandTimeout)
			defer cancel()
			result, err := node.perform(ctx, c)
			answer := line{ID: c.ID, Result: result}
			if err != nil {
				answer = line{ID: c.ID, Error: err.Error()}
			}
			out.write(answer)
		}()
	}
	return input.Err()
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
