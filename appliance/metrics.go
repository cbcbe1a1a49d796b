package appliance

import (
	"crypto/x509"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/document"
)

// metrics are what Prometheus sees. Labels carry states, reasons and doors: never a patient, path or ID.
type metrics struct {
	registry *prometheus.Registry
	steps    *prometheus.CounterVec
	readings *prometheus.CounterVec
	released prometheus.Counter
	ended    prometheus.Counter
	damaged  prometheus.Counter
	repaired prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medanchor_steps_total", Help: "Steps that items took through the pipeline since the start.",
		}, []string{"step"}),
		readings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medanchor_readings_total", Help: "Attempts to open records since the start, by how they ended.",
		}, []string{"outcome"}),
		released: counter("medanchor_released_keys_total", "Keys that were released to readers elsewhere since the start."),
		ended:    counter("medanchor_ended_keys_total", "Released keys that were taken back since the start."),
		damaged:  counter("medanchor_damaged_total", "Times that a stored document turned out to be damaged since the start."),
		repaired: counter("medanchor_repaired_blocks_total", "Blocks that were mended from another hospital since the start."),
	}
	m.registry.MustRegister(m.steps, m.readings, m.released, m.ended, m.damaged, m.repaired, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// releasedKeys counts keys that were released, or with a negative number taken back.
func (m *metrics) releasedKeys(keys int) {
	if keys < 0 {
		m.ended.Add(float64(-keys))
		return
	}
	m.released.Add(float64(keys))
}

func (m *metrics) reading(outcome string) { m.readings.WithLabelValues(outcome).Inc() }

func (m *metrics) step(s document.Step) { m.steps.WithLabelValues(string(s)).Inc() }

// observe adds what is read from the appliance at each scrape.
func (m *metrics) observe(a *App) {
	m.registry.MustRegister(newDoorCollector(a))
	m.registry.MustRegister(&collector{
		app:   a,
		items: prometheus.NewDesc("medanchor_items", "Items by where they ended.", []string{"state", "reason"}, nil),
		trays: prometheus.NewDesc("medanchor_tray_items", "Items that wait for a person, some of them anchored already.",
			[]string{"tray", "reason"}, nil),
		bytes:   prometheus.NewDesc("medanchor_received_bytes", "Bytes of plaintext received.", nil, nil),
		away:    prometheus.NewDesc("medanchor_ledger_away", "1 while the ledger does not take batches.", nil, nil),
		indexed: prometheus.NewDesc("medanchor_indexed_blocks", "Blocks of the channel in the index.", nil, nil),
		free:    prometheus.NewDesc("medanchor_free_bytes", "Free bytes on the data folder's file system.", nil, nil),
		expiry: prometheus.NewDesc("medanchor_certificate_expiry_seconds",
			"When a certificate expires, in Unix time: the appliance's own for the ledger, or that of what listens.", []string{"of"}, nil),
	})
}

// collector reads the appliance at each scrape.
type collector struct {
	app                                              *App
	items, trays, bytes, away, indexed, free, expiry *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector. What cannot be read now is left out.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if counts, err := c.app.state.Counts(); err == nil {
		gauge(c.items, float64(counts.Waiting), "waiting", "")
		gauge(c.items, float64(counts.Anchored), string(document.Anchored), "")
		gauge(c.items, float64(counts.Duplicates), string(document.Duplicate), "")
		gauge(c.items, float64(counts.Discarded), string(document.Discarded), "")
		for reason, n := range counts.Quarantined {
			gauge(c.items, float64(n), string(document.Quarantined), string(reason))
		}
		for tray, reasons := range (control.Items{Quarantined: counts.Quarantined, Review: counts.Review}).Trays() {
			for reason, n := range reasons {
				gauge(c.trays, float64(n), string(tray), string(reason))
			}
		}
		gauge(c.bytes, float64(counts.Bytes))
	}
	_, away := c.app.ledgerAway()
	gauge(c.away, boolean(away != nil))
	if next, err := c.app.index.Next(); err == nil {
		gauge(c.indexed, float64(next))
	}
	if free, err := freeBytes(c.app.config.Data); err == nil {
		gauge(c.free, float64(free))
	}
	own := &c.app.certificates
	for of, certificate := range map[string]*x509.Certificate{"ledger": own.ledger, "dicom": own.dicom, "reading": own.reading} {
		if certificate != nil {
			gauge(c.expiry, float64(certificate.NotAfter.Unix()), of)
		}
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
