ALTER TABLE instances
  ADD KEY state (state);
