package devnet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/devnet/internal/flock"
)

// Folders of the modules that the programs come from, below the root. Fabric and Fabric CA need one each: they ask for
// versions of grpc and of Fabric's protos that do not go together.
const (
	fabricModule    = "devnet/tools/fabric"
	caModule        = "devnet/tools/ca"
	chaincodeModule = "chaincode"
)

// Programs are the paths of what a network runs.
type Programs struct {
	Peer, Orderer, CA, Chaincode string
	// Config is the folder of Fabric's sample core.yaml and orderer.yaml.
	Config string
}

// Build builds the programs from the pinned sources into the cache. What is up to date costs a look: the go command's own
// cache decides. Cold, with every module downloaded, it takes two minutes on two cores.
func Build(ctx context.Context, opts Options) (Programs, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return Programs{}, fmt.Errorf("build devnet: %w", err)
	}
	bin := filepath.Join(opts.Cache, "bin")
	programs := Programs{
		Peer:      filepath.Join(bin, "peer"),
		Orderer:   filepath.Join(bin, "orderer"),
		CA:        filepath.Join(bin, "fabric-ca-server"),
		Chaincode: filepath.Join(bin, "medanchor-chaincode"),
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return Programs{}, fmt.Errorf("build devnet: %w", err)
	}
	lock, err := flock.Acquire(ctx, filepath.Join(opts.Cache, "build.lock"), flock.Exclusive)
	if err != nil {
		return Programs{}, fmt.Errorf("build devnet: %w", err)
	}
	defer lock.Close()

	start := time.Now()
	fmt.Fprintln(opts.Log, "devnet: building Fabric, Fabric CA and the chaincode (minutes the first time, then a second)")
	builds, buildCtx := errgroup.WithContext(ctx)
	for _, b := range []struct{ module, pkg, output, cgo string }{
		{fabricModule, "github.com/hyperledger/fabric/cmd/peer", programs.Peer, "0"},
		{fabricModule, "github.com/hyperledger/fabric/cmd/orderer", programs.Orderer, "0"},
		// Its database is sqlite: a C compiler must be there.
		{caModule, "github.com/hyperledger/fabric-ca/cmd/fabric-ca-server", programs.CA, "1"},
		{chaincodeModule, ".", programs.Chaincode, "0"},
	} {
		builds.Go(func() error {
			_, err := goCommand(buildCtx, filepath.Join(opts.Root, b.module), b.cgo, "build", "-o", b.output, b.pkg)
			return err
		})
	}
	if err := builds.Wait(); err != nil {
		return Programs{}, fmt.Errorf("build devnet: %w", err)
	}
	if programs.Config, err = sampleConfig(ctx, opts.Root); err != nil {
		return Programs{}, fmt.Errorf("build devnet: %w", err)
	}
	fmt.Fprintf(opts.Log, "devnet: built in %.1f s\n", time.Since(start).Seconds())
	return programs, nil
}

// sampleConfig finds the files that peer and orderer read before their environment, in Fabric's own module. That must have
// been downloaded, as a build does: the go command names no folder for a module that it has not.
func sampleConfig(ctx context.Context, root string) (string, error) {
	module, err := goCommand(ctx, filepath.Join(root, fabricModule), "0",
		"list", "-m", "-f", "{{.Dir}}", "github.com/hyperledger/fabric")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(module, "sampleconfig")
	if _, err := os.Stat(filepath.Join(dir, "core.yaml")); err != nil {
		return "", fmt.Errorf("find Fabric's sample configuration: %w", err)
	}
	return dir, nil
}

// goCommand runs the go command in a module's folder, with or without cgo ("1" or "0"), and returns what it prints.
func goCommand(ctx context.Context, dir, cgo string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// The caller's flags do not count: were they to differ from one caller to the next, each would build all over again.
	// Nor does the state of the checkout, which would change the chaincode's package ID.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath -buildvcs=false", "CGO_ENABLED="+cgo)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), dir, err, stderr.String())
	}
	return strings.TrimSpace(string(output)), nil
}
