//! JSON in its one canonical form (RFC 8785): members in the order of their UTF-16 code units, numbers and texts as
//! ECMAScript writes them.

use std::collections::HashMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::value::RawValue;

/// A value in its canonical form.
///
/// # Errors
/// What can't be written as JSON.
pub fn canonical(value: &impl Serialize) -> serde_json::Result<String> {
    rewrite(&serde_json::to_string(value)?)
}

/// A JSON text in its canonical form. Of members of one name the last counts.
///
/// # Errors
/// What is not JSON.
pub fn rewrite(text: &str) -> serde_json::Result<String> {
    let mut out = String::with_capacity(text.len());
    write_value(text.trim(), &mut out)?;
    Ok(out)
}

fn write_value(text: &str, out: &mut String) -> serde_json::Result<()> {
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: HashMap<String, &RawValue> = serde_json::from_str(text)?;
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            out.push('{');
            for (place, (name, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(&name)?);
                out.push(':');
                write_value(value.get(), out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push('[');
            for (place, value) in items.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_value(value.get(), out)?;
            }
            out.push(']');
        }
        Some(b'"') => out.push_str(&serde_json::to_string(&serde_json::from_str::<String>(text)?)?),
        _ => {
            let literal: &RawValue = serde_json::from_str(text)?;
            match literal.get() {
                "true" | "false" | "null" => out.push_str(literal.get()),
                // Read by the standard library, which rounds as ECMAScript does.
                digits => write_number(digits.parse().unwrap_or(f64::NAN), out)?,
            }
        }
    }
    Ok(())
}

/// `Number.prototype.toString`: the fewest digits that tell the number from its neighbours.
fn write_number(number: f64, out: &mut String) -> serde_json::Result<()> {
    if !number.is_finite() {
        return Err(serde::de::Error::custom("a number out of range"));
    }
    if number == 0.0 {
        out.push('0');
        return Ok(());
    }
    if number < 0.0 {
        out.push('-');
    }
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = mantissa.replace('.', "");
    // Where the point stands, counted from the first digit.
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let split = digits.split_at_checked(usize::try_from(point).unwrap_or_default());
    match point {
        1..=21 if count <= point => {
            out.push_str(&digits);
            out.push_str(&zeros(point - count));
        }
        1..=21 => {
            let (whole, fraction) = split.unwrap_or((&digits, ""));
            let _ = write!(out, "{whole}.{fraction}");
        }
        -5..=0 => {
            let _ = write!(out, "0.{}{digits}", zeros(-point));
        }
        _ => {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
            let dot = if rest.is_empty() { "" } else { "." };
            let _ = write!(out, "{first}{dot}{rest}e{:+}", point - 1);
        }
    }
    Ok(())
}
