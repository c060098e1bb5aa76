"""Work by the clock, on one replica only: plan (what is due), leader (who may), scheduler (runs it), jobs (the list)."""
