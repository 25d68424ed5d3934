"""What the report says about a clip: events, phases and measures."""
