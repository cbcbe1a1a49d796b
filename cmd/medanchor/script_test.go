package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"medanchor": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			if code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr); code != exitOK {
				os.Exit(code) //nolint:gocritic // stop has nothing left to do
			}
		},
	})
}

// TestScripts runs the command lines in testdata/script. They need no ledger: theirs is always away.
func TestScripts(t *testing.T) {
	inspector := buildInspector(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("INSPECTOR", inspector)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"hospital":   hospital,
			"exits":      exits,
			"snapshot":   snapshot,
			"unchanged":  unchanged,
			"wait-ready": waitReady,
			"wait-file":  waitFile,
			"wait-text":  waitText,
			"mode":       mode,
			"rot":        rot,
			"code":       code,
			"wallet":     identityFolder,
			"first-item": firstItem,
			"edit":       edit,

			"disk-full":   diskFull,
			"at-a-port":   atAPort,
			"with-tls":    withTLS,
			"wait-metric": waitMetric,
			"readyz":      readyz,
		},
		RequireExplicitExec: true,
	})
}

func buildInspector(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "medanchor-inspect")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../medanchor-inspect").CombinedOutput()
	if err != nil {
		t.Fatalf("build medanchor-inspect: %v\n%s", err, out)
	}
	return program
}

// hospital writes medanchor.yaml, a recovery recipient and an identity that is valid, or expired: $EXPIRES is when, as metrics have
// it. Nothing is made by init yet. The peer does not answer.
func hospital(ts *testscript.TestScript, _ bool, args []string) {
	expires := time.Now().Add(24 * time.Hour)
	if len(args) > 0 && args[0] == "expired" {
		expires = time.Now().Add(-time.Hour)
	}
	ts.Setenv("EXPIRES", strconv.FormatFloat(float64(expires.Unix()), 'g', -1, 64))
	ts.Check(os.MkdirAll(ts.MkAbs("drop"), 0o700))
	ts.Check(os.MkdirAll(ts.MkAbs("keys"), 0o700))
	ts.Check(writeIdentity(ts.MkAbs("keys"), expires))
	recipient, err := appliance.NewRecoveryKey(ts.MkAbs("recovery.key"))
	ts.Check(err)
	config := fmt.Sprintf(`data: %[1]s/data
vault:
  key_file: %[1]s/keys/vault.key
  recovery_recipient: %[2]s
ipfs:
  listen: /ip4/127.0.0.1/tcp/0
  swarm_key_file: %[1]s/keys/swarm.key
ledger:
  peer: 127.0.0.1:1
  tls_ca_file: %[1]s/keys/cert.pem
  msp_id: TestMSP
  certificate_file: %[1]s/keys/cert.pem
  key_file: %[1]s/keys/key.pem
patients:
  issuer: test
folders:
  - name: drop
    path: %[1]s/drop
    quiet: 50ms
    kind: letter
    patient:
      issuer: nhs
      pattern: '^(?P<id>[^/]+)/'
inspect:
  program: %[3]s
reading:
  listen: 127.0.0.1:0
listen: 127.0.0.1:0
`, ts.MkAbs("."), recipient, ts.Getenv("INSPECTOR"))
	ts.Check(os.WriteFile(ts.MkAbs("medanchor.yaml"), []byte(config), 0o600))
}

func writeIdentity(dir string, expires time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: record.NewParticipantID("TestMSP", [10]byte{1}).String()},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: expires,
		IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	encryption, err := wallet.KEM().GenerateKey()
	if err != nil {
		return err
	}
	private, err := encryption.Bytes()
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem":       {Type: "CERTIFICATE", Bytes: certificate},
		"key.pem":        {Type: "PRIVATE KEY", Bytes: secret},
		"encryption.key": {Type: "MEDANCHOR ENCRYPTION KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// identityFolder makes the wallet of a participant of a role, as medanchor enroll would, whose peer does not answer:
// wallet ROLE DIR.
func identityFolder(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(writeIdentity(dir, time.Now().Add(24*time.Hour)))
	who, err := json.Marshal(wallet.Identity{
		Participant: record.NewParticipantID("TestMSP", [10]byte{1}), Role: record.Role(args[0]), MSPID: "TestMSP",
		Peer: "127.0.0.1:1", CA: "127.0.0.1:1", Channel: "medanchor", Chaincode: "medanchor",
	})
	ts.Check(err)
	cert, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	ts.Check(err)
	for name, content := range map[string][]byte{
		"identity.json": who,
		"tls-ca.pem":    cert,
	} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
}

// code writes an enrolment code of a hospital whose CA does not answer: code FILE.
func code(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(writeIdentity(ts.MkAbs("."), time.Now().Add(time.Hour)))
	roots, err := wallet.ReadTLSRoots(ts.MkAbs("cert.pem"))
	ts.Check(err)
	c := wallet.Code{
		Identity: wallet.Identity{
			Participant: record.NewParticipantID("TestMSP", [10]byte{1}), Role: record.DoctorRole, MSPID: "TestMSP",
			Peer: "127.0.0.1:1", CA: "127.0.0.1:1", Channel: "medanchor", Chaincode: "medanchor",
		},
		Secret: "once", TLSRoots: roots,
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(c.String()+"\n"), 0o600))
}

// exits runs a command and checks its exit code: exits CODE COMMAND ARG...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		// testscript keeps the exit code in the text alone: "[exit status 3]" of the error.
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &code); scanErr != nil {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// tree lists what is below dir, with sizes and modification times. The socket is left out: it says nothing.
func tree(ts *testscript.TestScript, dir string) string {
	var list strings.Builder
	ts.Check(filepath.Walk(ts.MkAbs(dir), func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			fmt.Fprintln(&list, path, info.Size(), info.ModTime().UnixNano(), info.Mode())
		}
		return err
	}))
	return list.String()
}

// snapshot remembers what is below a folder; unchanged says whether it still is.
func snapshot(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("SNAPSHOT", tree(ts, args[0]))
}

func unchanged(ts *testscript.TestScript, _ bool, args []string) {
	if before, after := ts.Getenv("SNAPSHOT"), tree(ts, args[0]); before != after {
		ts.Fatalf("%s changed:\n%s\nbecame\n%s", args[0], before, after)
	}
}

// waitReady waits until the appliance on ./data answers, and has received as many files as its argument says.
func waitReady(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, func(ctx context.Context) bool {
		status, err := control.NewClient(ts.MkAbs("data")).Status(ctx)
		return err == nil && fmt.Sprint(status.Items.Received) == args[0]
	})
}

// waitText waits until a file has a text: wait-text FILE TEXT.
func waitText(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, func(context.Context) bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(text), args[1])
	})
}

// firstItem sets a variable to the ID of the first item that waits for a person: first-item VARIABLE.
func firstItem(ts *testscript.TestScript, _ bool, args []string) {
	items, err := control.NewClient(ts.MkAbs("data")).InTrays(context.Background(), control.TrayQuery{})
	ts.Check(err)
	if len(items) == 0 {
		ts.Fatalf("nothing waits for a person")
	}
	ts.Setenv(args[0], items[0].Item.String())
}

// edit replaces what stands once in a file: edit FILE OLD NEW.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if strings.Count(text, args[1]) != 1 {
		ts.Fatalf("%q stands %d times in %s", args[1], strings.Count(text, args[1]), args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}

// diskFull has every write to a file fail from now on, for the process that runs in the background: its files may not grow
// beyond nothing.
func diskFull(ts *testscript.TestScript, _ bool, _ []string) {
	for _, daemon := range ts.BackgroundCmds() {
		ts.Check(unix.Prlimit(daemon.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{}, nil))
	}
}

// atAPort has the appliance of medanchor.yaml serve its metrics at a port that is free now, and $LISTEN say so.
func atAPort(ts *testscript.TestScript, _ bool, _ []string) {
	var config net.ListenConfig
	free, err := config.Listen(context.Background(), "tcp", "127.0.0.83:0") // an address where nobody else takes the port meanwhile
	ts.Check(err)
	ts.Setenv("LISTEN", free.Addr().String())
	ts.Check(free.Close())
	edit(ts, false, []string{"medanchor.yaml", "\nlisten: 127.0.0.1:0\n", "\nlisten: " + ts.Getenv("LISTEN") + "\n"})
}

// withTLS has the appliance of medanchor.yaml show the certificate of its identity to devices and readers.
func withTLS(ts *testscript.TestScript, _ bool, _ []string) {
	cert, key := ts.MkAbs("keys/cert.pem"), ts.MkAbs("keys/key.pem")
	edit(ts, false, []string{"medanchor.yaml", "\nreading:\n", fmt.Sprintf(`
dicom:
  open: true
  tls: {listen: '127.0.0.1:0', certificate_file: %[1]s, key_file: %[2]s, client_ca_file: %[1]s}
reading:
  certificate_file: %[1]s
  key_file: %[2]s
`, cert, key)})
}

// readyz wants a status and a text from /readyz at $LISTEN: readyz STATUS TEXT.
func readyz(ts *testscript.TestScript, _ bool, args []string) {
	status, text, err := page(context.Background(), ts, "/readyz")
	ts.Check(err)
	if fmt.Sprint(status) != args[0] || !strings.Contains(text, args[1]) {
		ts.Fatalf("%d: %s", status, text)
	}
}

// waitMetric waits until the metrics at $LISTEN have a line: wait-metric LINE.
func waitMetric(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, func(ctx context.Context) bool {
		_, text, err := page(ctx, ts, "/metrics")
		return err == nil && slices.Contains(strings.Split(text, "\n"), args[0])
	})
}

// page reads a page of the appliance at $LISTEN.
func page(ctx context.Context, ts *testscript.TestScript, path string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ts.Getenv("LISTEN")+path, http.NoBody)
	ts.Check(err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	return response.StatusCode, string(all), err
}

// waitFile waits until a file is there.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, func(context.Context) bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil
	})
}

// mode checks the permissions of a file or folder: mode 0700 PATH.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// rot damages every block of the IPFS repository below a data folder.
func rot(ts *testscript.TestScript, _ bool, args []string) {
	blocks, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "ipfs", "blocks", "*", "*.data"))
	ts.Check(err)
	if len(blocks) == 0 {
		ts.Fatalf("no blocks in %s", args[0])
	}
	for _, block := range blocks {
		ts.Check(os.WriteFile(block, []byte("rot"), 0o600))
	}
}

func eventually(ts *testscript.TestScript, condition func(context.Context) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !condition(ctx) {
		select {
		case <-ctx.Done():
			ts.Fatalf("not in time")
		case <-poll.C:
		}
	}
}
