//! Tests of the whole from outside, in one binary so that they link once.

mod crypto;
