"""Two runs compared, case by case and metric by metric."""
