//! A reader of one segment and of one snapshot that shares no code with the crate, after docs/formats.md.

/// Returns the records of a segment, atomic batches whole or not at all; `None` if its header is not one to read.
pub(crate) fn records(file: &[u8]) -> Option<Vec<(u64, Vec<u8>)>> {
    let header = header(file, b"TRLSWAL\0")?;
    if number(header, 84, 4) != 0 {
        return None;
    }
    let (salt, mut expected) = (number(header, 80, 4) as u32, number(header, 40, 8));
    let (mut records, mut batch, mut offset) = (Vec::new(), Vec::new(), 4096);
    while let Some(head) = file.get(offset..offset + 24) {
        let (bytes, lsn) = (number(head, 4, 4) as usize, number(head, 8, 8));
        let Some(payload) = file.get(offset + 24..offset + 24 + bytes) else { break };
        let crc = crc(crc(salt, &head[4..]), payload);
        if u64::from(crc) != number(head, 0, 4) {
            break;
        }
        offset += 24 + bytes.next_multiple_of(8);
        match head[20] {
            1 | 2 if lsn == expected => {
                batch.push((lsn, payload.to_vec()));
                expected += 1;
                if head[20] == 1 || head[21] & 1 == 1 {
                    records.append(&mut batch);
                }
            }
            3 => {}
            _ => break,
        }
    }
    Some(records)
}

/// Returns where a snapshot starts and ends, and its chunks; `None` if anything is wrong with it.
pub(crate) fn chunks(file: &[u8]) -> Option<(u64, u64, Vec<Vec<u8>>)> {
    let header = header(file, b"TRLSSNP\0")?;
    if number(header, 40, 4) != 0 {
        return None;
    }
    let (seed, start) = (number(file, 4092, 4) as u32, number(header, 32, 8));
    let (mut chunks, mut crcs, mut total, mut offset) = (Vec::new(), 0, 0, 4096);
    loop {
        let head = file.get(offset..offset + 24)?;
        let bytes = number(head, 4, 4) as usize;
        let payload = file.get(offset + 24..offset + 24 + bytes)?;
        let crc_found = crc(crc(seed, &head[4..]), payload);
        if u64::from(crc_found) != number(head, 0, 4) || number(head, 8, 8) != chunks.len() as u64 {
            return None;
        }
        offset += 24 + bytes.next_multiple_of(8);
        match head[16] {
            1 => {
                chunks.push(payload.to_vec());
                total += bytes as u64;
                crcs = crc(crcs, &head[..4]);
            }
            2 => {
                let is_right = offset == file.len()
                    && number(payload, 8, 8) == total
                    && number(payload, 16, 4) == u64::from(crcs)
                    && payload[24..] == *b"TRLSEND\0";
                return is_right.then(|| (start, number(payload, 0, 8), chunks));
            }
            _ => return None,
        }
    }
}

fn header<'a>(file: &'a [u8], magic: &[u8; 8]) -> Option<&'a [u8]> {
    let header = file.get(..4096)?;
    let is_right = header[..8] == *magic
        && number(header, 4092, 4) == u64::from(crc(0, &header[..4092]))
        && number(header, 8, 2) == 1
        && number(header, 12, 4) == 4096;
    is_right.then_some(header)
}

fn number(bytes: &[u8], offset: usize, width: usize) -> u64 {
    bytes[offset..offset + width].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// CRC32C bit by bit, going on from `seed`.
fn crc(seed: u32, bytes: &[u8]) -> u32 {
    let mut register = !seed;
    for &byte in bytes {
        register ^= u32::from(byte);
        for _ in 0..8 {
            register = register >> 1 ^ if register & 1 == 1 { 0x82F6_3B78 } else { 0 };
        }
    }
    !register
}
