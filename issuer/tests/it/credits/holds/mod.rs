mod capture;
mod lapse;
mod place;
mod release;
