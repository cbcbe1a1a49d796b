package scp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/test/dcmtk"
)

// orthanc is a PACS, of which a test is the user.
type orthanc struct {
	t   *testing.T
	url string
}

// startOrthanc runs one that knows r as the modality "medanchor".
func startOrthanc(t *testing.T, r *receiver) *orthanc {
	t.Helper()
	program, err := exec.LookPath("Orthanc")
	if err != nil {
		t.Skip("Orthanc is not installed: apt-get install orthanc")
	}
	dir := t.TempDir()
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		t.Fatal(err)
	}
	portNumber, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	_, web, _ := net.SplitHostPort(freeAddress(t))
	webPort, _ := strconv.Atoi(web)
	config, err := json.Marshal(map[string]any{
		"Name": "test", "StorageDirectory": dir, "IndexDirectory": dir, "HttpPort": webPort, "RemoteAccessAllowed": false,
		"AuthenticationEnabled": false, "DicomServerEnabled": false, "DicomAet": sender, "Plugins": []string{},
		"DicomModalities": map[string]any{"medanchor": []any{ours, host, portNumber}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "orthanc.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, file)
	var log lockedBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Pdeathsig comes when the thread that forked ends
		ended <- cmd.Run()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Log(log.String())
		}
	})
	o := &orthanc{t, "http://127.0.0.1:" + web}
	o.waitUntilItAnswers()
	return o
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

func (o *orthanc) waitUntilItAnswers() {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Second)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		if _, err := o.ask(ctx, http.MethodGet, "/system", nil); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			o.t.Fatal("Orthanc does not answer")
		case <-poll.C:
		}
	}
}

func (o *orthanc) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	rq, err := http.NewRequestWithContext(ctx, method, o.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := client.Do(rq)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return answer, err
}

// upload gives Orthanc a file, and returns what it calls it.
func (o *orthanc) upload(file string) (id string) {
	o.t.Helper()
	answer, err := o.ask(o.t.Context(), http.MethodPost, "/instances", read(o.t, file))
	if err != nil {
		o.t.Fatal(err)
	}
	var instance struct{ ID string }
	if err := json.Unmarshal(answer, &instance); err != nil {
		o.t.Fatal(err)
	}
	return instance.ID
}

// store has it send instances to the receiver.
func (o *orthanc) store(ids []string) error {
	o.t.Helper()
	body, err := json.Marshal(ids)
	if err != nil {
		o.t.Fatal(err)
	}
	_, err = o.ask(o.t.Context(), http.MethodPost, "/modalities/medanchor/store", body)
	return err
}

func TestOrthancSends(t *testing.T) {
	dcmtk.Need(t, "dcmdump", "dcmcjpeg")
	r := start(t, scp.Options{})
	o := startOrthanc(t, r)
	files := append(images(t, 3, 300<<10), compressed(t)...)
	var ids []string
	for _, file := range files {
		ids = append(ids, o.upload(file))
	}
	if _, err := o.ask(t.Context(), http.MethodPost, "/modalities/medanchor/echo", []byte("{}")); err != nil {
		t.Error(err)
	}
	if err := o.store(ids); err != nil {
		t.Fatal(err, r.log)
	}
	r.stop()
	r.same(t, files)
	if s := r.Stats(); s.Echoed != 1 || s.Stored != uint64(len(files)) || s.Ended[scp.EndReleased] != s.Accepted {
		t.Errorf("%+v", s)
	}
}
