mod jwks;
mod life_cycle;
mod master_key;
mod start_over;
