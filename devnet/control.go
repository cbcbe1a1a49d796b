package devnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/medanchor/medanchor/devnet/internal/proc"
)

// child is the controller in the owner's process, which has the node as its child.
type child struct {
	process *proc.Process
	address string
}

// apply does the action; see the methods of [Node] for what each means.
func (c child) apply(ctx context.Context, do action) error {
	switch do {
	case stop:
		return unless(proc.ErrNotRunning, c.process.Stop())
	case kill:
		return unless(proc.ErrNotRunning, c.process.Kill())
	case freeze:
		return c.process.Freeze()
	case thaw:
		return c.process.Thaw()
	case start:
		if err := unless(proc.ErrRunning, c.process.Start()); err != nil {
			return err
		}
		return c.process.Await(ctx, listening(c.address))
	default:
		return fmt.Errorf("%s: nothing that can be done to a node", do)
	}
}

// unless returns err, unless it is the one that does not matter.
func unless(harmless, err error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// listening returns a condition: somebody accepts connections at address.
func listening(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// controlSocket is the Unix socket in a network's folder, which speaks HTTP: POST /<node>/<action>.
const controlSocket = "control.sock"

// socketPath gives a path of the socket in dir that fits into the 107 bytes of a socket address, however long dir's own
// path is: through a descriptor of the folder, which must stay open while the path is used.
func socketPath(dir string) (string, *os.File, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), controlSocket), folder, nil
}

// serveControl lets other processes control the nodes, until the returned function is called.
func (n *Network) serveControl(ctx context.Context) (end func() error, err error) {
	path, folder, err := socketPath(n.Dir)
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		folder.Close()
		return nil, err
	}
	mux := http.NewServeMux()
	for _, node := range n.Nodes() {
		mux.HandleFunc("POST /"+node.Name+"/{action}", func(w http.ResponseWriter, r *http.Request) {
			if err := node.control.apply(r.Context(), action(r.PathValue("action"))); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
			}
		})
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return func() error {
		err := server.Close()
		<-served
		return errors.Join(err, folder.Close())
	}, nil
}

// remote is the controller in another process, which asks the owner.
type remote struct {
	http *http.Client
	node string
}

// controlClient makes HTTP requests to the owner of the network in dir.
func controlClient(dir string) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		path, folder, err := socketPath(dir)
		if err != nil {
			return nil, err
		}
		defer folder.Close()
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", path)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

func (r remote) apply(ctx context.Context, do action) error {
	target := fmt.Sprintf("http://devnet/%s/%s", r.node, do)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w: see whether the network's owner still runs", do, r.node, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", do, r.node, err)
	}
	return errors.New(strings.TrimSpace(string(text)))
}
