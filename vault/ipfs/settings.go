package ipfs

import (
	"github.com/ipfs/kubo/config"
)

// settings gives the whole configuration of a node but for its identity. Nothing of what a user may have put into the
// repository's config file survives: each line here is needed for durability, privacy or memory.
func settings(identity config.Identity, listen []string) *config.Config {
	if len(listen) == 0 {
		listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	c := &config.Config{
		Identity:  identity,
		Addresses: config.Addresses{Swarm: listen}, // no API, no gateway
		Datastore: datastoreSettings(),
		Swarm:     swarmSettings(),

		// A private swarm has no public routing, and its peers are found on the ledger.
		Bootstrap:     []string{},
		Routing:       config.Routing{Type: config.NewOptionalString("none")},
		Provide:       config.Provide{Enabled: config.False},
		AutoConf:      config.AutoConf{Enabled: config.False},
		AutoNAT:       config.AutoNATConfig{ServiceMode: config.AutoNATServiceDisabled},
		AutoTLS:       config.AutoTLS{Enabled: config.False},
		HTTPRetrieval: config.HTTPRetrieval{Enabled: config.False},
		Discovery:     config.Discovery{MDNS: config.MDNS{Enabled: false}},
		Version:       config.Version{SwarmCheckEnabled: config.False},
		// Read by a stock ipfs on this repository; the embedded node loads no plugins at all.
		Plugins: config.Plugins{Plugins: map[string]config.Plugin{"telemetry": {Disabled: true}}},
	}
	c.Internal.Bitswap = &config.InternalBitswap{
		// With broadcast control on, fetches from peers with public addresses hang.
		BroadcastControl: &config.BitswapBroadcastControl{Enable: config.False},
		// The default is 128 idle goroutines: too many for a swarm of a few hospitals.
		EngineBlockstoreWorkerCount: *config.NewOptionalInteger(16),
	}
	c.Internal.CGNATCheck = config.False
	c.Internal.DeadListenerCheck = config.False
	return c
}

func datastoreSettings() config.Datastore {
	return config.Datastore{
		Spec: map[string]any{
			"type": "mount",
			"mounts": []any{
				map[string]any{
					"mountpoint": "/blocks",
					"type":       "flatfs",
					"path":       "blocks",
					"sync":       true, // else a power cut loses blocks that were acknowledged
					// 32 folders: a batch of 64 blocks syncs few enough of them.
					"shardFunc": "/repo/flatfs/shard/v1/next-to-last/1",
				},
				map[string]any{
					"mountpoint":  "/",
					"type":        "levelds",
					"path":        "datastore",
					"compression": "none",
				},
			},
		},
		HashOnRead:        true, // a block that rotted on disk is an error, never wrong bytes
		BloomFilterSize:   0,
		BlockKeyCacheSize: *config.NewOptionalInteger(0), // it would remember blocks that were deleted behind it
		WriteThrough:      config.True,                   // payloads are random: looking first finds nothing
	}
}

func swarmSettings() config.SwarmConfig {
	s := config.SwarmConfig{
		DisableBandwidthMetrics: true,
		DisableNatPortMap:       true,
		EnableHolePunching:      config.False,
		RelayClient:             config.RelayClient{Enabled: config.False},
		RelayService:            config.RelayService{Enabled: config.False},
		// The swarm is the members of a consortium, told from strangers by the swarm key before a byte is read.
		ResourceMgr: config.ResourceMgr{Enabled: config.False},
		ConnMgr:     config.ConnMgr{Type: config.NewOptionalString("none")},
	}
	// A private network works over TCP only.
	s.Transports.Network.TCP = config.True
	s.Transports.Network.QUIC = config.False
	s.Transports.Network.Websocket = config.False
	s.Transports.Network.WebTransport = config.False
	s.Transports.Network.WebRTCDirect = config.False
	s.Transports.Network.Relay = config.False
	return s
}
