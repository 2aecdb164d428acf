"""Registry: names, cards, specs, plugins, project settings, the placement grammar."""
