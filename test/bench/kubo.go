package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/ipfs/boxo/files"
	"github.com/ipfs/kubo/core"
	"github.com/ipfs/kubo/core/coreapi"
	coreiface "github.com/ipfs/kubo/core/coreiface"
	"github.com/ipfs/kubo/core/coreiface/options"
	"github.com/ipfs/kubo/repo"
	"github.com/ipfs/kubo/repo/fsrepo"
	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/vault/ipfs"
)

// kubo is a plain Kubo node, offline, on a repository with the very settings of the vault's: flatfs with sync among them.
type kubo struct {
	node *core.IpfsNode
	api  coreiface.CoreAPI
}

func openKubo(ctx context.Context, dir string) (*kubo, error) {
	key := dir + ".swarm.key"
	if err := os.WriteFile(key, ipfs.NewSwarmKey(), 0o600); err != nil {
		return nil, err
	}
	repo, err := openRepo(ctx, dir, key)
	if err != nil {
		return nil, err
	}
	node, err := core.NewNode(ctx, &core.BuildCfg{Repo: repo})
	if err != nil {
		return nil, err
	}
	api, err := coreapi.NewCoreAPI(node)
	return &kubo{node, api}, err
}

// openRepo makes a repository as the vault does, and opens it.
func openRepo(ctx context.Context, dir, swarmKey string) (repo.Repo, error) {
	vault, err := ipfs.Open(ctx, ipfs.Options{Repo: dir, SwarmKeyFile: swarmKey})
	if err != nil {
		return nil, err
	}
	if err := vault.Close(); err != nil {
		return nil, err
	}
	return fsrepo.Open(dir)
}

func (k *kubo) close() error { return k.node.Close() }

// addAll adds and pins every file, with as many workers as the pipeline has.
func (k *kubo) addAll(ctx context.Context, paths []string) error {
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for _, path := range paths {
		workers.Go(func() error { return k.add(ctx, path) })
	}
	return workers.Wait()
}

func (k *kubo) add(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return k.addNode(ctx, files.NewReaderFile(f))
}

// addFolder adds a folder and all below it, with one pin of the whole, as `ipfs add --recursive` does.
func (k *kubo) addFolder(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	folder, err := files.NewSerialFile(path, false, info)
	if err != nil {
		return err
	}
	return errors.Join(k.addNode(ctx, folder), folder.Close())
}

// addNode adds and pins what it is given: --cid-version=1 --raw-leaves --chunker=size-1048576.
func (k *kubo) addNode(ctx context.Context, node files.Node) error {
	_, err := k.api.Unixfs().Add(ctx, node, options.Unixfs.CidVersion(1), options.Unixfs.RawLeaves(true),
		options.Unixfs.Chunker("size-1048576"), options.Unixfs.Pin(true, ""))
	if err != nil {
		return fmt.Errorf("add to Kubo: %w", err)
	}
	return nil
}
