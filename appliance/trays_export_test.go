package appliance

import (
	"log/slog"

	"github.com/medanchor/medanchor/state"
)

// OnlyItems is an App that has items, and no door.
func OnlyItems(s *state.DB) *App { return &App{state: s, log: slog.New(slog.DiscardHandler)} }
