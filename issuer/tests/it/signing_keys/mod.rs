mod jwks;
mod life_cycle;
mod master_key;
