package appliance

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// doorCollector reads the doors at each scrape. Labels name folders of the configuration, reasons and statuses: never a sender or
// a patient.
type doorCollector struct {
	app *App

	full, trouble, waiting, held            *prometheus.Desc
	spooled, spooledBytes                   *prometheus.Desc
	associations, accepted, rejected, ended *prometheus.Desc
	stored, refused, cut, failed            *prometheus.Desc
}

func newDoorCollector(a *App) *doorCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &doorCollector{
		app:          a,
		full:         desc("medanchor_disk_full", "1 while nothing is taken in because the disk is at its reserve."),
		trouble:      desc("medanchor_door_trouble", "1 while something is wrong with a door: the status says what.", "door"),
		waiting:      desc("medanchor_waiting_files", "Files in a drop folder that were seen and not taken yet.", "door"),
		held:         desc("medanchor_held_files", "Files that were handed back to their door.", "door"),
		spooled:      desc("medanchor_spooled_objects", "Objects from the network that wait for the pipeline."),
		spooledBytes: desc("medanchor_spooled_bytes", "What they take on the disk."),
		associations: desc("medanchor_dicom_associations", "DICOM associations that are open."),
		accepted:     desc("medanchor_dicom_accepted_total", "DICOM associations that were accepted since the start."),
		rejected:     desc("medanchor_dicom_rejected_total", "DICOM associations that were rejected since the start.", "reason"),
		ended:        desc("medanchor_dicom_ended_total", "DICOM associations by how they ended since the start.", "end"),
		stored:       desc("medanchor_dicom_stored_total", "C-STORE requests that were answered with success since the start."),
		refused:      desc("medanchor_dicom_refused_total", "C-STORE requests that were answered with a failure since the start.", "status"),
		cut:          desc("medanchor_dicom_cut_total", "Objects whose association ended before they did since the start."),
		failed: desc("medanchor_dicom_failed_total",
			"Connections that never became an association since the start: no request, another protocol, TLS that failed."),
	}
}

// Describe implements prometheus.Collector.
func (c *doorCollector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector.
func (c *doorCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(c.full, boolean(c.app.guard.Room(0) != nil))
	gauge(c.trouble, boolean(c.app.networkTrouble() != nil), networkDoor)
	for _, f := range c.app.folders {
		gauge(c.trouble, boolean(f.Err() != nil), f.Name)
		gauge(c.waiting, float64(f.Waiting()), f.Name)
		gauge(c.held, float64(len(f.Held())), f.Name)
	}
	objects, bytes := c.app.spool.Waiting()
	gauge(c.spooled, float64(objects))
	gauge(c.spooledBytes, float64(bytes))
	if c.app.receiver != nil {
		c.collectReceiver(out)
	}
}

func (c *doorCollector) collectReceiver(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	s := c.app.receiver.Stats()
	out <- prometheus.MustNewConstMetric(c.associations, prometheus.GaugeValue, float64(s.Associations))
	count(c.accepted, s.Accepted)
	count(c.stored, s.Stored)
	count(c.cut, s.Cut)
	count(c.failed, s.Failed+s.Turned)
	for reason, n := range s.Rejected {
		count(c.rejected, n, string(reason))
	}
	for end, n := range s.Ended {
		count(c.ended, n, string(end))
	}
	for status, n := range s.Refused {
		count(c.refused, n, fmt.Sprint(status))
	}
}
