"""Other gateways: those whose logs are pulled, and what comparisons with them and with bills found."""
