//! What the module that has to be found wrong has besides.

use wasm_bindgen::prelude::wasm_bindgen;

/// Makes the arithmetic slip in the way of this number from now on; of 0, not.
#[wasm_bindgen]
pub fn plant(fault: u8) {
    shared_claims::plant_fault(fault);
}
