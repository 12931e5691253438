"""Where rows come from. Each kind of address is a `RowSource`."""
