//! Programs that crossproc users bring.
