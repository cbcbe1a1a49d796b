package ingest_test

import (
	"testing"

	"github.com/medanchor/medanchor/document"
)

// image plants the metadata of an object in front of whose pixels stands a header, and drops it.
func (w *world) image(path, header, pixels, syntax string) document.Delivery {
	m := dicom("9990000018", "2.25.1", "2.25.2")
	m.TransferSyntaxUID, m.PixelOffset = syntax, int64(len(header))
	w.metadata[header+pixels] = m
	return w.drop(path, header+pixels, "")
}

func TestHowAVariantDiffers(t *testing.T) {
	const explicit, implicit, deflated, jpeg = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
	type object struct{ header, pixels, syntax string }
	first := object{"Smith", "pixels", explicit}
	for name, c := range map[string]struct {
		second object
		want   document.Variant
		review document.Reason
	}{
		"another name":                    {object{"Smyth", "pixels", explicit}, document.VariantHeaderChanged, ""},
		"other pixels":                    {object{"Smith", "other", explicit}, document.VariantPixelsChanged, document.ReasonPixelsChanged},
		"other pixels in another header":  {object{"Smyth", "other", explicit}, document.VariantPixelsChanged, document.ReasonPixelsChanged},
		"without explicit VRs":            {object{"Smith*", "pixels", implicit}, document.VariantReencoded, ""},
		"other pixels, no explicit VRs":   {object{"Smith*", "other", implicit}, document.VariantPixelsChanged, document.ReasonPixelsChanged},
		"compressed, whatever is in it":   {object{"Smith", "\xff\xd8", jpeg}, document.VariantReencoded, ""},
		"deflated, pixels nobody can see": {object{"zzzzz", "", deflated}, document.VariantReencoded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if err := w.run(t, w.image("/1", first.header, first.pixels, first.syntax)); err != nil {
				t.Fatal(err)
			}
			if err := w.run(t, w.image("/2", c.second.header, c.second.pixels, c.second.syntax)); err != nil {
				t.Fatal(err)
			}
			items := w.inState(document.Queued)
			if len(items) != 2 || items[1].VariantOf != items[0].Tag || items[1].Variant != c.want || items[1].Review != c.review {
				t.Fatalf("a variant of %s, %q, to be reviewed for %q", items[1].VariantOf, items[1].Variant, items[1].Review)
			}
		})
	}
}

// In one group, the first is not durable yet.
func TestVariantsInOneGroupAreClassified(t *testing.T) {
	w := newWorld()
	var deliveries []document.Delivery
	for _, name := range []string{"Smith", "Smyth", "Smits"} {
		deliveries = append(deliveries, w.image("/"+name, name, "pixels", "1.2.840.10008.1.2.1"))
	}
	if err := w.run(t, deliveries...); err != nil {
		t.Fatal(err)
	}
	variants := 0
	for _, item := range w.inState(document.Queued) {
		if item.Variant == document.VariantHeaderChanged {
			variants++
		} else if item.Variant != "" {
			t.Errorf("it is %q", item.Variant)
		}
	}
	if variants != 2 {
		t.Fatalf("%d of 3 are variants", variants)
	}
}
