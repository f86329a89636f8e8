"""The stop: how an opt-out beats a message (design §3). A module a rule; the model of these rules is docs/model/stop.pml."""
